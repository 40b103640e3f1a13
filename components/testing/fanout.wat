;; The workflow testing:fanout/fanout: many children in one join set, through the generated functions of testing:fibo/fibo.
;;
;; Where the host's answers go (the canonical ABI's layout):
;;   16  our own answer, result<u64, string>: a byte that is 0 for ok, at 24 the u64, or the string as address and length
;;   64  a child's execution-id, a string as address and length; not needed
;;   128 result<result<u64, string>, await-next-extension-error>: a byte that is 0 for ok, at 136 the same of the child,
;;       at 144 its u64 or string
(module
  (import "obelisk:workflow/workflow-support@6.0.0" "join-set-create" (func $join_set_create (result i32)))
  (import "obelisk:types/join-set@5.0.0" "[resource-drop]join-set" (func $join_set_drop (param $join_set i32)))
  (import "testing:fibo-obelisk-ext/fibo" "fibo-submit"
    (func $submit (param $join_set i32) (param $n i32) (param $execution_id i32)))
  (import "testing:fibo-obelisk-ext/fibo" "fibo-await-next"
    (func $await_next (param $join_set i32) (param $answer i32)))
  (memory (export "memory") 1)
  (data (i32.const 512) "a child's response is missing")
  (global $free (mut i32) (i32.const 1024))

  (func (export "testing:fanout/fanout#run") (param $children i32) (param $n i32) (result i32)
    (local $join_set i32) (local $left i32) (local $sum i64)
    (local.set $join_set (call $join_set_create))
    (local.set $left (local.get $children))
    (block $submitted
      (loop $next
        (br_if $submitted (i32.eqz (local.get $left)))
        (call $submit (local.get $join_set) (local.get $n) (i32.const 64))
        ;; The id is not kept, so the next one may have its place.
        (global.set $free (i32.const 1024))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (local.set $left (local.get $children))
    (block $awaited
      (loop $next
        (br_if $awaited (i32.eqz (local.get $left)))
        (call $await_next (local.get $join_set) (i32.const 128))
        (if (i32.load8_u (i32.const 128))
          (then (return (call $fail (i32.const 512) (i32.const 29)))))
        (if (i32.load8_u (i32.const 136))
          (then (return (call $fail (i32.load (i32.const 144)) (i32.load (i32.const 148))))))
        (local.set $sum (i64.add (local.get $sum) (i64.load (i32.const 144))))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
    (call $join_set_drop (local.get $join_set))
    (i64.store (i32.const 24) (local.get $sum))
    (i32.const 16))

  ;; The join set stays open: the host closes it, and so cancels the other children.
  (func $fail (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 16) (i32.const 1))
    (i32.store (i32.const 24) (local.get $text))
    (i32.store (i32.const 28) (local.get $length))
    (i32.const 16))

  ;; One page is enough: ids are short, and so are errors.
  (func (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32) (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $free (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
)
