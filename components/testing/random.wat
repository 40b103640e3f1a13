;; The workflow testing:random/random: "<random-u64> <wasi:random> <clock>; <the same again>", all in decimal.
(module
  (import "obelisk:workflow/workflow-support@6.0.0" "random-u64"
    (func $random_u64 (param $min i64) (param $max_exclusive i64) (result i64)))
  ;; See fiboa-reordered.wat for the parameters.
  (import "obelisk:workflow/workflow-support@6.0.0" "sleep"
    (func $sleep (param $when i32) (param $unit i64) (param $amount i64)
      (param $named i32) (param $name i32) (param $name_length i32) (param $result i32)))
  (import "wasi:random/random@0.2.0" "get-random-u64" (func $get_random_u64 (result i64)))
  (import "wasi:clocks/wall-clock@0.2.0" "now" (func $now (param $datetime i32)))
  (memory (export "memory") 1)
  ;; Where the next character of the text goes, which begins at 256.
  (global $end (mut i32) (i32.const 256))

  (func $put (param $character i32)
    (i32.store8 (global.get $end) (local.get $character))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))

  (func $put_number (param $number i64)
    (if (i64.ge_u (local.get $number) (i64.const 10))
      (then (call $put_number (i64.div_u (local.get $number) (i64.const 10)))))
    (call $put (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10))))))

  (func $put_three
    (call $put_number (call $random_u64 (i64.const 0) (i64.const 1000000)))
    (call $put (i32.const 32)) ;; a space
    (call $put_number (call $get_random_u64))
    (call $put (i32.const 32))
    (call $now (i32.const 64))
    (call $put_number
      (i64.add
        (i64.mul (i64.load (i32.const 64)) (i64.const 1000000000))
        (i64.load32_u (i32.const 72)))))

  ;; result<string, string>, always ok.
  (func (export "testing:random/random#draw") (result i32)
    (call $put_three)
    (call $put (i32.const 59)) ;; a semicolon
    (call $put (i32.const 32))
    (call $sleep (i32.const 2) (i64.const 0) (i64.const 10)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 64))
    (call $put_three)
    (i32.store (i32.const 20) (i32.const 256))
    (i32.store (i32.const 24) (i32.sub (global.get $end) (i32.const 256)))
    (i32.const 16))
)
