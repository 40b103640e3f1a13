;; The activity testing:bytes/bytes: takes a large value, and looks at the last byte of it.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))

  ;; result<u64, string> is at 16: ok, and at 24 the number.
  (func (export "testing:bytes/bytes#measure") (param $data i32) (param $length i32) (result i32)
    (i64.store (i32.const 24) (i64.extend_i32_u (local.get $length)))
    (if (local.get $length)
      (then
        (i64.store (i32.const 24)
          (i64.add
            (i64.load (i32.const 24))
            (i64.load8_u (i32.add (local.get $data) (i32.sub (local.get $length) (i32.const 1))))))))
    (i32.const 16))

  ;; Nothing is freed: a run ends with its memory, which grows to hold the value.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32) (local $missing i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (global.get $free) (i32.const 65535)) (i32.const 16))
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then
        (if (i32.lt_s (memory.grow (local.get $missing)) (i32.const 0))
          (then (unreachable)))))
    (local.get $at))
)
