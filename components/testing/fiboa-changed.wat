;; fibo-wat's workflow, changed: all its calls but the first are fibo(n + 1). So it agrees with the other's log for one
;; call, and diverges at the second.
(module
  (import "testing:fibo/fibo" "fibo" (func $fibo (param $n i32) (param $result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  (func (export "testing:fibo/workflow#fiboa") (param $n i32) (param $iterations i32) (result i32)
    (local $i i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $iterations)))
        (call $fibo
          (i32.add (local.get $n) (i32.gt_u (local.get $i) (i32.const 0)))
          (i32.const 32))
        (br_if $done (i32.load8_u (i32.const 32)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
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
