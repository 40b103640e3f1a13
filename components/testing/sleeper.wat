;; The workflow testing:sleeper/sleeper.
(module
  ;; See fiboa-reordered.wat for the parameters.
  (import "obelisk:workflow/workflow-support@6.0.0" "sleep"
    (func $sleep (param $when i32) (param $unit i64) (param $amount i64)
      (param $named i32) (param $name i32) (param $name_length i32) (param $result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "the delay was cancelled")

  ;; sleep's result<datetime> is at 32: 0 for ok, and at 40 the seconds. Ours is at 16: result<u64, string>.
  (func (export "testing:sleeper/sleeper#nap") (param $milliseconds i64) (result i32)
    (call $sleep (i32.const 2) (i64.const 0) (local.get $milliseconds)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 32))
    (if (i32.load8_u (i32.const 32))
      (then
        (i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 24) (i32.const 64))
        (i32.store (i32.const 28) (i32.const 23)))
      (else
        (i64.store (i32.const 24) (i64.load (i32.const 40)))))
    (i32.const 16))
)
