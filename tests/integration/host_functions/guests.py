"""Guests that `components/` hasn't got, as WAT: functions that never return, one for each kind of error type."""

ERRORS = ("none", "text", "number", "choice", "told", "detailed")
"""The functions `(spin: bool) -> result<u64, ...>` of every `testing:ending/*`, beside `bare: (spin: bool) -> u64`."""

_CORE = """
  (core module $main
    (memory (export "memory") 1)
    (func (export "end") (param i32) (result i32)
      (if (local.get 0) (then (loop $for_ever (br $for_ever))))
      unreachable)
    (func (export "bare") (param i32) (result i64) unreachable))
  (core instance $i (instantiate $main))"""
_TYPES = """
  (type $choice (enum "other" "execution-failed"))
  (type $detail (record (field "kind" string) (field "failure-id" string) (field "reason" string)))
  (type $told (variant (case "other") (case "execution-failed" string)))
  (type $detailed (variant (case "other") (case "execution-failed" $detail)))"""
_RESULTS = {
    "none": "(result u64)",
    "text": "(result u64 (error string))",
    "number": "(result u64 (error u32))",
    "choice": "(result u64 (error $choice))",
    "told": "(result u64 (error $told))",
    "detailed": "(result u64 (error $detailed))",
}


def ending(interface: str) -> str:
    """Write the component that exports `testing:ending/<interface>`: its functions spin for ever, or trap at once."""
    functions = [
        f"""(func ${name} (param "spin" bool) (result {result})
              (canon lift (core func $i "end") (memory (core memory $i "memory"))))"""
        for name, result in _RESULTS.items()
    ]
    functions.append('(func $bare (param "spin" bool) (result u64) (canon lift (core func $i "bare")))')
    types = [f'(export "{name}-type" (type ${name}))' for name in ("choice", "detail", "told", "detailed")]
    exports = [f'(export "{name}" (func ${name}))' for name in (*ERRORS, "bare")]
    return f"""(component {_TYPES} {_CORE} {" ".join(functions)}
      (instance $e {" ".join(types)} {" ".join(exports)})
      (export "testing:ending/{interface}" (instance $e)))"""


WRITTEN_HERE = {
    "ending-activity": ("activity", ending("activity")),
    "ending-workflow": ("workflow", ending("workflow")),
    "ending-elsewhere": ("activity", ending("elsewhere")),
}
"""Guests by name, with their kind."""
