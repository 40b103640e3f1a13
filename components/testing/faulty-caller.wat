;; The workflow testing:faulty-caller/caller. 16 is the place of every answer of an activity, 48 that of our own results.
(module
  (import "testing:faults/faults" "fail-with" (func $fail_with (param $text i32) (param $length i32) (param $result i32)))
  (import "testing:faults/faults" "trap" (func $trap (param $result i32)))
  (import "testing:faults/faults" "spin" (func $spin (param $result i32)))
  (import "testing:faults/faults" "permanent" (func $permanent (param $result i32)))
  (import "testing:faults/faults" "trap-variant" (func $trap_variant (param $result i32)))
  (import "testing:faults/faults" "trap-no-result" (func $trap_no_result))
  (memory (export "memory") 1)
  (global $free (mut i32) (i32.const 1024))
  (data (i32.const 128) "the activity succeeded")
  (data (i32.const 160) "permanent-thing")
  (data (i32.const 192) "execution-failed: ")
  (data (i32.const 224) "transient")

  ;; result<string, string>: 0 at 48 for ok, 1 for err; the string's address and length at 52.
  (func $return (param $is_err i32) (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 48) (local.get $is_err))
    (i32.store (i32.const 52) (local.get $text))
    (i32.store (i32.const 56) (local.get $length))
    (i32.const 48))

  (func $succeeded (result i32)
    (call $return (i32.const 1) (i32.const 128) (i32.const 22)))

  ;; Turn the result<_, string> at 16 around.
  (func $turn_around (result i32)
    (if (result i32) (i32.load8_u (i32.const 16))
      (then (call $return (i32.const 0) (i32.load (i32.const 20)) (i32.load (i32.const 24))))
      (else (call $succeeded))))

  ;; The same for the result<_, failure> at 16: its case is at 20, and the string of `execution-failed` at 24.
  (func $turn_around_variant (result i32)
    (local $text i32)
    (if (i32.eqz (i32.load8_u (i32.const 16)))
      (then (return (call $succeeded))))
    (if (i32.eq (i32.load8_u (i32.const 20)) (i32.const 0))
      (then (return (call $return (i32.const 0) (i32.const 160) (i32.const 15)))))
    (if (i32.eq (i32.load8_u (i32.const 20)) (i32.const 2))
      (then (return (call $return (i32.const 0) (i32.const 224) (i32.const 9)))))
    (local.set $text
      (call $allocate (i32.const 0) (i32.const 0) (i32.const 1) (i32.add (i32.const 18) (i32.load (i32.const 28)))))
    (memory.copy (local.get $text) (i32.const 192) (i32.const 18))
    (memory.copy (i32.add (local.get $text) (i32.const 18)) (i32.load (i32.const 24)) (i32.load (i32.const 28)))
    (call $return (i32.const 0) (local.get $text) (i32.add (i32.const 18) (i32.load (i32.const 28)))))

  (func (export "testing:faulty-caller/caller#call-fail") (param $text i32) (param $length i32) (result i32)
    (call $fail_with (local.get $text) (local.get $length) (i32.const 16))
    (call $turn_around))

  (func (export "testing:faulty-caller/caller#call-trap") (result i32)
    (call $trap (i32.const 16))
    (call $turn_around))

  (func (export "testing:faulty-caller/caller#call-spin") (result i32)
    (call $spin (i32.const 16))
    (call $turn_around))

  (func (export "testing:faulty-caller/caller#call-permanent") (result i32)
    (call $permanent (i32.const 16))
    (call $turn_around_variant))

  (func (export "testing:faulty-caller/caller#call-trap-variant") (result i32)
    (call $trap_variant (i32.const 16))
    (call $turn_around_variant))

  (func (export "testing:faulty-caller/caller#call-trap-no-result") (result i32)
    (call $trap_no_result)
    (call $succeeded))

  ;; One page is enough for error texts; faults.wat shows an allocator that grows.
  (func $allocate (export "cabi_realloc")
    (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
)
