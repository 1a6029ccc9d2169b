"""The content security policy of all answers: no script, style or connection but files and paths of this server."""

_DIRECTIVES = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src {styles}",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
)


def content_security_policy(*styles: str) -> str:
    """Return the policy; `styles` are hashes of style elements that are allowed besides."""
    return "; ".join(_DIRECTIVES).format(styles=" ".join(("'self'", *styles)))
