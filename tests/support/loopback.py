"""HTTP to processes of the test's own, without TLS."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients that only call http:// addresses. Others read all authorities of the web, 40-130 ms each."""
