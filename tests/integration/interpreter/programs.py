"""Programs for the interpreters, and what their operations give on the fake host."""

FIBO = "testing:fibo/fibo.fibo"
APPROVE = "testing:approval/approval.approve"
SOON = {"in": {"milliseconds": 1}}


def op(name, /, **arguments):
    return {"op": name, **arguments}


CREATE = op("join-set-create")
FIRST = {"id": "E_1.g:1_1"}


def submit(n, join_set=0, function=FIBO):
    return op("submit-json", set=join_set, function=function, params=[n])


# For both interpreters: a name, the program, what it gives.
SHARED = [
    ("join sets have indices and ids", [(CREATE, 0), (CREATE, 1), (op("join-set-id", set=1), "g:2")]),
    (
        "a name is used once, and a failed creation takes an index too",
        [
            (op("join-set-create-named", name="a"), {"ok": 0}),
            (op("join-set-create-named", name="a"), {"err": "conflict"}),
            (op("join-set-create-named", name=""), {"err": {"invalid_name": "it is empty"}}),
            (op("join-set-id", set=0), "n:a"),
            (op("join-set-id", set=1), {"skipped": "there is no join set 1"}),
            (CREATE, 3),
        ],
    ),
    (
        "responses are taken until there are none left",
        [
            (CREATE, 0),
            (submit(10), {"ok": FIRST}),
            (submit(99), {"ok": {"id": "E_1.g:1_2"}}),
            (op("submit-delay", set=0, when=SOON), {"id": "Delay_1.g:1_3"}),
            (op("join-next", set=0), {"ok": {"ok": "55"}}),
            (op("join-next-try", set=0), {"ok": {"err": '"too large"'}}),
            (op("join-next", set=0), {"ok": {"ok": None}}),
            (op("join-next", set=0), {"err": "all_processed"}),
            (op("join-next-try", set=0), {"err": "all_processed"}),
            (op("get-result-json", execution=0), {"ok": {"ok": "55"}}),
            (op("get-result-json", execution={"id": "?"}), {"err": {"execution_id_parsing_error": "?"}}),
            (op("get-result-json", execution={"id": "E_9"}), {"err": "not_found_in_processed_responses"}),
            (op("get-result-json", execution=5), {"skipped": "there is no execution 5"}),
        ],
    ),
    (
        "a response that isn't there is pending",
        [(CREATE, 0), (submit(1, function=APPROVE), {"ok": FIRST}), (op("join-next-try", set=0), {"err": "pending"})],
    ),
    (
        "a submission by JSON is checked",
        [
            (CREATE, 0),
            (submit(1, function="fibo"), {"err": {"ffqn_parsing_error": "no interface"}}),
            (submit(1, function="a:b/c.d"), {"err": "function_not_found"}),
            (
                op("submit-json", set=0, function=FIBO, params="[1"),
                {"err": {"type_check_error": "one parameter expected"}},
            ),
        ],
    ),
    (
        "a call by JSON gives the result",
        [
            (op("call-json", function=FIBO, params=[93]), {"ok": {"ok": "12200160415121876738"}}),
            (op("call-json", function=FIBO, params=[94]), {"ok": {"err": '"too large"'}}),
            (
                op("call-json", function={"interface_name": "", "function_name": ""}, params=[]),
                {"err": {"ffqn_parsing_error": "no interface"}},
            ),
        ],
    ),
    (
        "a sleep ends or is cancelled",
        [
            (op("sleep", when=SOON), {"ok": {"seconds": 17, "nanoseconds": 5}}),
            (op("sleep", when=SOON, hide=True), {"ok": None}),
            (op("sleep", when="now", name="nap"), {"err": None}),
        ],
    ),
    (
        "random values keep all their digits",
        [
            (op("random-u64", min=0, max=18446744073709551615), 18446744073709551614),
            (op("random-u64-inclusive", min=5, max=18446744073709551615), 18446744073709551615),
            (op("random-string", min=3, max=4), "xxx"),
        ],
    ),
    (
        "what was given up is not used again",
        [
            (CREATE, 0),
            (op("join-set-close", set=0), None),
            (op("join-next", set=0), {"skipped": "join set 0 was given up"}),
        ],
    ),
    (
        "a submission takes an index in any case",
        [
            (CREATE, 0),
            (submit(1, join_set=3), {"skipped": "there is no join set 3"}),
            (submit(1, function="a:b/c.d"), {"err": "function_not_found"}),
            (submit(10), {"ok": FIRST}),
            (op("join-next", set=0), {"ok": {"ok": "55"}}),
            (op("get-result-json", execution=2), {"ok": {"ok": "55"}}),
            (op("get-result-json", execution=0), {"skipped": "there is no execution 0"}),
        ],
    ),
    (
        "operations repeat, spin and show the time",
        [
            (op("repeat", times=2, body=[CREATE, op("random-u64", min=0, max=2)]), [[0, 1], [1, 1]]),
            (op("spin", iterations=10), 10),
            (op("clock"), 1_700_000_000_000),
            (op("execution-id-current"), {"id": "E_1"}),
            (op("log", level="warn", message="höher"), None),
        ],
    ),
]

MISMATCH = {
    "specified_function": {"interface_name": "testing:fibo/fibo", "function_name": "fibo"},
    "actual_function": None,
    "actual_id": {"delay_id": {"id": "Delay_1.g:1_2"}},
}

# For the Python interpreter alone.
PYTHON = [
    (
        "typed children",
        [
            (CREATE, 0),
            (op("fibo-submit", set=0, n=10), FIRST),
            (op("submit-delay", set=0, when="now"), {"id": "Delay_1.g:1_2"}),
            (op("join-set-last-id", set=0), None),
            (op("fibo-get", execution=0), {"err": "not_found_in_processed_responses"}),
            (op("fibo-await-next", set=0), {"ok": {"ok": 55}}),
            (op("join-set-last-id", set=0), {"execution_id": FIRST}),
            (op("fibo-get", execution={"last-of": 0}), {"ok": {"ok": 55}}),
            (op("fibo-await-next", set=0), {"err": {"function_mismatch": MISMATCH}}),
            (op("fibo-await-next", set=0), {"err": "all_processed"}),
            (op("get-execution-failure-kind", execution=0), {"ok": None}),
            (op("join-set-drop", set=0), None),
            (op("join-set-id", set=0), {"skipped": "join set 0 was given up"}),
        ],
    ),
    (
        "a failed child tells its kind",
        [
            (CREATE, 0),
            (op("fibo-submit", set=0, n=94), FIRST),
            (op("fibo-await-next", set=0), {"ok": {"err": "too large"}}),
            (op("get-execution-failure-kind", execution=0), {"ok": "timed_out"}),
        ],
    ),
    (
        "stubs",
        [
            (CREATE, 0),
            (op("approve-submit", set=0, order=7), FIRST),
            (op("approve-submit", set=0, order=8), {"id": "E_1.g:1_2"}),
            (op("approve-stub", execution=0, result={"ok": True}), {"ok": None}),
            (op("approve-stub", execution=0, result={"err": "no"}), {"err": "conflict"}),
            (op("approve-await-next", set=0), {"ok": {"ok": True}}),
            (op("approve-get", execution=0), {"ok": {"ok": True}}),
            (op("stub-json", execution=1, result={"err": "no"}), {"ok": None}),
            (op("approve-await-next", set=0), {"ok": {"err": "no"}}),
            (op("stub-json", execution=1, result="{"), {"err": {"type_check_error": "no JSON"}}),
            (op("stub-json", execution="current", result={"ok": True}), {"err": "execution_not_found"}),
            (op("approve", order=1), {"ok": True}),
        ],
    ),
    (
        "top-level executions",
        [
            (op("execution-id-generate"), {"id": "E_2"}),
            (op("schedule-json", execution=0, when="now", function=FIBO, params=[1]), {"ok": None}),
            (op("schedule-json", execution=0, when=SOON, function="a:b/c.d", params=[]), {"err": "function_not_found"}),
            (op("fibo-schedule", when={"at": {"seconds": 1, "nanoseconds": 2}}, n=10), {"id": "E_3"}),
        ],
    ),
    (
        "direct calls",
        [
            (op("fibo", n=10), {"ok": 55}),
            (op("fibo", n=94), {"err": "too large"}),
            (op("last-direct-call-id"), {"id": "E_1.o:1_1"}),
            (op("last-oneoff-id"), {"delay_id": {"id": "Delay_1.o:1_1"}}),
            (op("get-result-json", execution="last-direct-call"), {"err": "not_found_in_processed_responses"}),
            (op("get-result-json", execution="last-oneoff"), {"skipped": "there is no execution last-oneoff"}),
        ],
    ),
    (
        "clocks and the log",
        [
            (op("monotonic-clock"), 5_000),
            (op("wasi-sleep", milliseconds=2), None),
            (op("monotonic-clock"), 2_005_000),
            *((op("log", level=level, message="m"), None) for level in ("trace", "debug", "info", "warn", "error")),
        ],
    ),
]
