"""The WASM host: engines, components, values and guests (DESIGN.md section 7).

Only `abi`, `values`, `aggregates`, `callbacks` and `guest` touch the memory of wasmtime's C library. Breaking one of
its lifetime rules aborts the process, so each rule has a test that runs in a process of its own
(`tests/integration/wasm/test_lifetime_rules.py`).
"""
