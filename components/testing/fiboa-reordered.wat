;; fibo-wat's workflow, changed: it sleeps 1 ms before each call. So it diverges from the other's log at the first event,
;; and a log of its own shows delays and children in turn.
(module
  ;; sleep(schedule-at, name: option<string>) -> result<datetime>: the case of schedule-at, then as two i64 what its cases
  ;; may hold (for `in`, the case of the duration and its number), the option and its string, and the result's address.
  (import "obelisk:workflow/workflow-support@6.0.0" "sleep"
    (func $sleep (param $when i32) (param $unit i64) (param $amount i64)
      (param $named i32) (param $name i32) (param $name_length i32) (param $result i32)))
  (import "testing:fibo/fibo" "fibo" (func $fibo (param $n i32) (param $result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  (func (export "testing:fibo/workflow#fiboa") (param $n i32) (param $iterations i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.eqz (local.get $iterations)))
        (call $sleep (i32.const 2) (i64.const 0) (i64.const 1)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
        (call $fibo (local.get $n) (i32.const 32))
        (br_if $done (i32.load8_u (i32.const 32)))
        (local.set $iterations (i32.sub (local.get $iterations) (i32.const 1)))
        (br $next)))
    (i32.const 32))

  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
)
