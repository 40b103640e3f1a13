;; The workflow testing:nested/outer: its one step is another workflow, whose result is its own.
(module
  (import "testing:fibo/workflow" "fiboa" (func $fiboa (param $n i32) (param $iterations i32) (param $result i32)))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  (func (export "testing:nested/outer#run") (param $n i32) (param $iterations i32) (result i32)
    (call $fiboa (local.get $n) (local.get $iterations) (i32.const 32))
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
