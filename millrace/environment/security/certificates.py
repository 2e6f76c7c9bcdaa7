"""Certificate authorities of this home's own, and the certificates of its brokers and its gateway.

Keeps them below the home, readable by its owner alone, and makes a server's anew when it is about to expire.
Guarantees that a client which trusts such an authority trusts these servers on loopback and nobody else.
"""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from millrace.environment.layout import Home
from millrace.environment.ports import LOOPBACK

_AUTHORITY_LIFE = timedelta(days=3650)
_BROKER_LIFE = timedelta(days=397)
"""The longest that clients of the public web accept; ours is made anew at a start within the last 30 days."""

_RENEW_WITHIN = timedelta(days=30)
_CLOCK_SLACK = timedelta(days=1)
"""Valid since yesterday: a clock that is set back does not shut the cluster down."""


class Authority(NamedTuple):
    """Signs certificates."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate


def ensure_certificates(home: Home) -> None:
    """Make what the brokers miss or what is about to expire."""
    authority = _authority(home, home.authority, home.authority_key)
    if not _is_good(home.broker_certificate, authority):
        home.write(home.broker_certificate, broker_pem(authority))


def ensure_gateway_certificate(home: Home) -> None:
    """The same for the gateway, with an authority of its own: the presence of the brokers' tells of secured ones."""
    authority = _authority(home, home.gateway_authority, home.gateway_authority_key)
    if not _is_good(home.gateway_certificate, authority):
        home.write(home.gateway_certificate, broker_pem(authority, "Millrace gateway"))


def new_authority() -> Authority:
    """A key pair and a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Millrace local authority")
    builder = (
        _builder(name, name, key.public_key(), _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Authority(key, builder.sign(key, hashes.SHA256()))


def broker_pem(authority: Authority, name: str = "Millrace broker") -> bytes:
    """Key and certificate for servers on loopback; brokers are clients of each other, so it is good for both."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    names = [x509.IPAddress(ip_address(LOOPBACK)), x509.DNSName("localhost")]
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name(name), authority.certificate.subject, key.public_key(), _BROKER_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False)
    )
    certificate = builder.sign(authority.key, hashes.SHA256())
    return _key_pem(key) + certificate.public_bytes(Encoding.PEM)


def _authority(home: Home, certificate_file: Path, key_file: Path) -> Authority:
    if not key_file.exists():
        made = new_authority()
        home.write(certificate_file, made.certificate.public_bytes(Encoding.PEM))
        home.write(key_file, _key_pem(made.key))  # last: its presence says that both are there
    key = load_pem_private_key(key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return Authority(key, x509.load_pem_x509_certificate(certificate_file.read_bytes()))


def _is_good(path: Path, authority: Authority) -> bool:
    if not path.exists():
        return False
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    ours = certificate.issuer == authority.certificate.subject
    return ours and certificate.not_valid_after_utc - datetime.now(UTC) > _RENEW_WITHIN


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
