"""Ways of not being let in by Kafka, and the words that say so."""

from __future__ import annotations

__all__ = ["REFUSED", "STRANGER"]

MUTUAL = {"protocol": "SSL", "username": "", "password_file": ""}
#: What is done wrong, at which listener, what is set otherwise than a worker has it, and what is said of it.
REFUSED: list[tuple[str, str, dict[str, str], str]] = [
    (
        "wrong password",
        "SASL_SSL",
        {"password_file": "", "password": "wrong"},
        "does not accept wardwatch-worker and the password",
    ),
    ("unknown user", "SASL_SSL", {"username": "nobody"}, "does not accept nobody and the password (SCRAM-SHA-512)"),
    (
        "another mechanism",
        "SASL_SSL",
        {"mechanism": "SCRAM-SHA-256"},
        "have that user made in Kafka for this mechanism",
    ),
    (
        "wrong password for PLAIN",
        "SASL_SSL",
        {"mechanism": "PLAIN"},
        "does not accept wardwatch-worker and the password (PLAIN)",
    ),
    (
        "no such mechanism",
        "SCRAM_ONLY",
        {"mechanism": "PLAIN"},
        "knows no PLAIN: set mechanism to one it has (SCRAM-SHA-512)",
    ),
    ("not trusted", "SASL_SSL", {"ca_file": ""}, "is not trusted by the system's authorities"),
    ("another name", "WRONG_NAME", MUTUAL, "is for another name: write the name that is in it"),
    ("expired", "EXPIRED", MUTUAL, "is expired: have it renewed"),
    (
        "plaintext against TLS",
        "SASL_SSL",
        {**MUTUAL, "protocol": "PLAINTEXT", "ca_file": ""},
        "does not speak Kafka without TLS",
    ),
    (
        "SASL without TLS against TLS",
        "SASL_SSL",
        {"protocol": "SASL_PLAINTEXT", "ca_file": ""},
        "set protocol SASL_SSL",
    ),
    ("TLS against plaintext", "CLIENT", MUTUAL, "speaks no TLS where protocol is SSL"),
    ("SASL against none", "CLIENT", {"protocol": "SASL_PLAINTEXT", "ca_file": ""}, "asks nobody who they are"),
    ("none against SASL", "SASL_SSL", MUTUAL, "asks who this is where protocol is SSL: set protocol SASL_SSL"),
    ("no client certificate", "SSL", MUTUAL, "asks for a client certificate: set certificate_file and key_file"),
    ("no port", "nowhere", {}, "'nowhere' is no address of a broker: write host:port"),
]

#: Said of a client certificate that another authority issued.
STRANGER = "does not take this client's certificate: look whether it is expired, or of an authority"
