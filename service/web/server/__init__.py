"""The web application: assembly, authentication, limits, start and drain."""
