;; The activity testing:fibo/fibo, written by hand. `components/build.py` makes a component of it.
;;
;; result<u64, string> is returned by address (the canonical ABI): a byte at 0 that is 0 for ok and 1 for err, and at 8
;; the u64, or the string as address and length.
(module
  (memory (export "memory") 1)
  (data (i32.const 64) "fibo(94) and above do not fit in a u64")

  ;; Slow on purpose (its time doubles with every 1.44 n), so that it also serves as an activity that needs CPU.
  (func $fibo (param $n i32) (result i64)
    (if (result i64) (i32.le_u (local.get $n) (i32.const 1))
      (then (i64.extend_i32_u (local.get $n)))
      (else
        (i64.add
          (call $fibo (i32.sub (local.get $n) (i32.const 1)))
          (call $fibo (i32.sub (local.get $n) (i32.const 2)))))))

  (func (export "testing:fibo/fibo#fibo") (param $n i32) (result i32)
    (if (i32.gt_u (local.get $n) (i32.const 93))
      (then
        (i32.store8 (i32.const 16) (i32.const 1))
        (i32.store (i32.const 24) (i32.const 64))
        (i32.store (i32.const 28) (i32.const 38)))
      (else
        (i32.store8 (i32.const 16) (i32.const 0))
        (i64.store (i32.const 24) (call $fibo (local.get $n)))))
    (i32.const 16))
)
