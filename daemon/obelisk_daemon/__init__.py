"""The durable workflow engine: daemon, WebAssembly host, storage and operator tool."""

__version__ = "0.1.0"
