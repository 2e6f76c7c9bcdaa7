"""Users whom somebody else knows: an LDAP directory checks passwords, or an OIDC issuer signs tokens."""
