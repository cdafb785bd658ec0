"""Certificates by openssl(1), for the time of a test."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Optional, Sequence


def _openssl(*words: str) -> str:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Pair:
    """A certificate and its key, as PEM files."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate = certificate
        self.key = key

    @property
    def fingerprint(self) -> str:
        """SHA-256, as openssl prints it, with colons."""
        words = ["x509", "-noout", "-fingerprint", "-sha256", "-in", str(self.certificate)]
        return _openssl(*words).strip().partition("=")[2]


class Authority:
    """Signs certificates. Its own is in `pair`."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.pair = Pair(directory / f"{name}.pem", directory / f"{name}.key")
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", str(self.pair.key), "-out", str(self.pair.certificate),
            "-addext", "basicConstraints=critical,CA:TRUE",
        )

    def issue(self, name: str, subject: str, names: Sequence[str] = (), days: Optional[str] = None) -> Pair:
        """A certificate for `subject` ("/O=Lab/CN=alice") and these names ("DNS:localhost"). It ran out long ago
        where `days` is "expired"."""
        pair = Pair(self.directory / f"{name}.pem", self.directory / f"{name}.key")
        request = self.directory / f"{name}.csr"
        _openssl(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", subject,
            "-keyout", str(pair.key), "-out", str(request),
        )
        extensions = self.directory / f"{name}.ext"
        extensions.write_text("subjectAltName=" + ",".join(names) + "\n" if names else "keyUsage=digitalSignature\n")
        validity = ["-days", "-1"] if days == "expired" else ["-days", "2"]
        _openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.pair.certificate), "-CAkey", str(self.pair.key),
            "-CAcreateserial", *validity, "-extfile", str(extensions), "-out", str(pair.certificate),
        )
        return pair

    def context(self, client: Optional[Pair] = None) -> ssl.SSLContext:
        """A client's TLS that trusts this authority alone, and shows that certificate."""
        context = ssl.create_default_context(cafile=str(self.pair.certificate))
        if client is not None:
            context.load_cert_chain(str(client.certificate), str(client.key))
        return context
