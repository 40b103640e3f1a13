;; The activity testing:faults/faults. 16 is the place of every result; strings that come in start at 1024.
(module
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (data (i32.const 64) "memory.grow was refused")

  ;; result<_, string>: 0 at 16 for ok, 1 for err; the string's address and length at 20.
  (func (export "testing:faults/faults#fail-with") (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store (i32.const 20) (local.get $text))
    (i32.store (i32.const 24) (local.get $length))
    (i32.const 16))

  (func $trap (export "testing:faults/faults#trap") (result i32)
    unreachable)

  (func (export "testing:faults/faults#spin") (result i32)
    (loop $for_ever (br $for_ever))
    unreachable)

  ;; result<_, failure>: as above, with the number of the case at 20.
  (func (export "testing:faults/faults#permanent") (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store8 (i32.const 20) (i32.const 0))
    (i32.const 16))

  (func (export "testing:faults/faults#transient") (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store8 (i32.const 20) (i32.const 2))
    (i32.const 16))

  (func (export "testing:faults/faults#trap-variant") (result i32)
    (call $trap))

  ;; result<u32, string>: the number at 20.
  (func (export "testing:faults/faults#grow") (param $pages i32) (result i32)
    (if (i32.eq (memory.grow (local.get $pages)) (i32.const -1))
      (then
        (i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 20) (i32.const 64))
        (i32.store (i32.const 24) (i32.const 23)))
      (else
        (i32.store8 (i32.const 16) (i32.const 0))
        (i32.store (i32.const 20) (memory.size))))
    (i32.const 16))

  ;; result<string, string>: the string at 20.
  (func (export "testing:faults/faults#echo-text") (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (local.get $text))
    (i32.store (i32.const 24) (local.get $length))
    (i32.const 16))

  (func (export "testing:faults/faults#no-result"))

  (func (export "testing:faults/faults#trap-no-result")
    (drop (call $trap)))

  ;; Nothing is freed: a run ends with its memory.
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
        (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1))
          (then unreachable))))
    (local.get $at))
)
