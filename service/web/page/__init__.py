"""The page: HTML, ES modules, style sheets and chart specifications, as files."""
