;; The workflow testing:fibo/workflow, written by hand: each call of the imported activity is a durable step.
(module
  (import "testing:fibo/fibo" "fibo" (func $fibo (param $n i32) (param $result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  ;; The activity's answer and ours have the same type, result<u64, string>, so one place (32) holds both.
  ;; Memory starts as zeros, which are ok(0): the answer for no iterations.
  (func (export "testing:fibo/workflow#fiboa") (param $n i32) (param $iterations i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $iterations)))
        (call $fibo (local.get $n) (i32.const 32))
        (br_if $done (i32.load8_u (i32.const 32)))
        (local.set $iterations (i32.sub (local.get $iterations) (i32.const 1)))
        (br $next)))
    (i32.const 32))

  ;; Where the host puts the activity's error text. Nothing is freed: a run ends with its memory. One page holds it, since
  ;; the text is short; `testing/faults.wat` shows an allocator that grows.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
)
