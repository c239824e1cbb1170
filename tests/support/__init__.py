"""Code that several test files share: models, servers, results, dry runs."""
