"""The OpenAPI document: what litestar makes of routes and types, made exact enough to test and to generate clients."""
