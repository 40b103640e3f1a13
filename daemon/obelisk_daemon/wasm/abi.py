"""The raw face of wasmtime's C library: prototypes, struct sizes, and memory seen as numbers.

Two ways to call C. `PyDLL` keeps the interpreter lock: right for calls of a microsecond that never run wasm. `CDLL`
gives it up: needed for everything that can run wasm, or the epoch ticker could never run.

Addresses are plain ints, and all memory is read through one view of the address space: three times as fast as
`from_address` for each value. Nothing here owns anything; who frees what is written at each user.
"""

import ctypes
from collections.abc import Mapping
from ctypes import c_bool, c_char_p, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any, Final

from wasmtime import _ffi as ffi

_KEEPING_LOCK: Final = ctypes.PyDLL(str(ffi.filename))
_FREEING_LOCK: Final = ctypes.CDLL(str(ffi.filename))

MEM: Final = memoryview((ctypes.c_ubyte * (1 << 47)).from_address(0)).cast("B")
"""All memory, as bytes. `U64[address >> 3]` reads a word, and so on."""
I8: Final = MEM.cast("b")
U16: Final = MEM.cast("H")
I16: Final = MEM.cast("h")
U32: Final = MEM.cast("I")
I32: Final = MEM.cast("i")
U64: Final = MEM.cast("Q")
I64: Final = MEM.cast("q")
F32: Final = MEM.cast("f")
F64: Final = MEM.cast("d")

VALUE: Final = 32
"""Bytes of a component value: its kind at 0, its payload from 8."""
ENTRY: Final = 48
"""Bytes of a record's entry: its name at 0, its value from 16."""
NAME: Final = 16
"""Bytes of a name: its length at 0, its address at 8."""
FUNCTION: Final = 32
"""Bytes of an exported function's handle."""
INSTANCE: Final = 16
"""Bytes of an instance's handle."""
ZEROES: Final = bytes(VALUE)

(
    K_BOOL, K_S8, K_U8, K_S16, K_U16, K_S32, K_U32, K_S64, K_U64, K_F32, K_F64, K_CHAR, K_STRING, K_LIST, K_RECORD,
    K_TUPLE, K_VARIANT, K_ENUM, K_OPTION, K_RESULT, K_FLAGS, K_RESOURCE,
) = range(22)  # fmt: skip


def _check_layout() -> None:
    """Refuse a library whose structs differ from the offsets in this package: it would corrupt memory."""
    sizes = {
        "value": (ctypes.sizeof(ffi.wasmtime_component_val_t), VALUE),
        "record entry": (ctypes.sizeof(ffi.wasmtime_component_valrecord_entry_t), ENTRY),
        "name": (ctypes.sizeof(ffi.wasm_byte_vec_t), NAME),
        "function": (ctypes.sizeof(ffi.wasmtime_component_func_t), FUNCTION),
        "instance": (ctypes.sizeof(ffi.wasmtime_component_instance_t), INSTANCE),
        "kinds": (ffi.WASMTIME_COMPONENT_RESOURCE.value, K_RESOURCE),
        "pointer": (ctypes.sizeof(c_void_p), 8),
    }
    wrong = {name: found for name, (found, expected) in sizes.items() if found != expected}
    if wrong:
        raise ImportError(f"this wasmtime has other structs than the daemon was built for: {wrong}")


def _keep(name: str, result: Any, *arguments: Any) -> Any:
    # Indexing the library, not an attribute of it, gives a fresh function whose prototype is ours alone.
    function = _KEEPING_LOCK[name]
    function.restype, function.argtypes = result, arguments
    return function


def _free(name: str, result: Any, *arguments: Any) -> Any:
    function = _FREEING_LOCK[name]
    function.restype, function.argtypes = result, arguments
    return function


_P = c_void_p
name_new = _keep("wasm_byte_vec_new", None, _P, c_size_t, c_char_p)
name_delete = _keep("wasm_byte_vec_delete", None, _P)
list_new = _keep("wasmtime_component_vallist_new_uninit", None, _P, c_size_t)
tuple_new = _keep("wasmtime_component_valtuple_new_uninit", None, _P, c_size_t)
record_new = _keep("wasmtime_component_valrecord_new_uninit", None, _P, c_size_t)
record_copy = _keep("wasmtime_component_valrecord_copy", None, _P, _P)
flags_new = _keep("wasmtime_component_valflags_new_uninit", None, _P, c_size_t)
value_new = _keep("wasmtime_component_val_new", _P, _P)
value_delete = _keep("wasmtime_component_val_delete", None, _P)
any_to_host = _keep("wasmtime_component_resource_any_to_host", _P, _P, _P, _P)
host_to_any = _keep("wasmtime_component_resource_host_to_any", _P, _P, _P, _P)
host_new = _keep("wasmtime_component_resource_host_new", _P, c_bool, c_uint32, c_uint32)
host_rep = _keep("wasmtime_component_resource_host_rep", c_uint32, _P)
host_delete = _keep("wasmtime_component_resource_host_delete", None, _P)

error_new = _keep("wasmtime_error_new", _P, c_char_p)
_error_delete = _keep("wasmtime_error_delete", None, _P)
_error_message = _keep("wasmtime_error_message", None, _P, _P)

increment_epoch = _keep("wasmtime_engine_increment_epoch", None, _P)
config_set_async_stack = _keep("wasmtime_config_async_stack_size_set", None, _P, c_uint64)
config_set_concurrency = _keep("wasmtime_config_concurrency_support_set", None, _P, c_bool)
pool_new = _keep("wasmtime_pooling_allocation_config_new", _P)
pool_delete = _keep("wasmtime_pooling_allocation_config_delete", None, _P)
config_set_pool = _keep("wasmtime_pooling_allocation_strategy_set", None, _P, _P)

store_new = _keep("wasmtime_store_new", _P, _P, _P, _P)
store_context = _keep("wasmtime_store_context", _P, _P)
store_limit = _keep("wasmtime_store_limiter", None, _P, c_int64, c_int64, c_int64, c_int64, c_int64)
store_delete = _free("wasmtime_store_delete", None, _P)
set_fuel = _keep("wasmtime_context_set_fuel", _P, _P, c_uint64)
get_fuel = _keep("wasmtime_context_get_fuel", _P, _P, _P)
set_epoch_deadline = _keep("wasmtime_context_set_epoch_deadline", None, _P, c_uint64)
# The header says that it gives an error; it gives nothing.
yield_at_epoch = _keep("wasmtime_context_epoch_deadline_async_yield_and_update", None, _P, c_uint64)

linker_new = _keep("wasmtime_component_linker_new", _P, _P)
linker_delete = _keep("wasmtime_component_linker_delete", None, _P)
linker_root = _keep("wasmtime_component_linker_root", _P, _P)
linker_instance_delete = _keep("wasmtime_component_linker_instance_delete", None, _P)
linker_add_instance = _keep(
    "wasmtime_component_linker_instance_add_instance", _P, _P, c_char_p, c_size_t, _P
)  # fmt: skip
linker_add_function = _keep("wasmtime_component_linker_instance_add_func_async", _P, _P, c_char_p, c_size_t, _P, _P, _P)
linker_add_resource = _keep(
    "wasmtime_component_linker_instance_add_resource", _P, _P, c_char_p, c_size_t, _P, _P, _P, _P
)
resource_type_host = _keep("wasmtime_component_resource_type_new_host", _P, c_uint32)
resource_type_delete = _keep("wasmtime_component_resource_type_delete", None, _P)
export_index = _keep("wasmtime_component_get_export_index", _P, _P, _P, c_char_p, c_size_t)
export_index_delete = _keep("wasmtime_component_export_index_delete", None, _P)

instantiate_async = _free("wasmtime_component_linker_instantiate_async", _P, _P, _P, _P, _P, _P)
instance_function = _keep("wasmtime_component_instance_get_func", c_bool, _P, _P, _P, _P)
call_async = _keep("wasmtime_component_func_call_async", _P, _P, _P, _P, c_size_t, _P, c_size_t, _P)
future_poll = _free("wasmtime_call_future_poll", c_bool, _P)
future_delete = _free("wasmtime_call_future_delete", None, _P)

STRLEN: Final[int] = ctypes.cast(ctypes.CDLL(None).strlen, c_void_p).value or 0
"""Address of a C function that answers "ready" (not 0) for a flag byte that is set: the cheapest continuation."""
_READY_FLAG: Final = ctypes.create_string_buffer(b"\x01", 2)
READY: Final[int] = ctypes.addressof(_READY_FLAG)
"""A flag that is always set."""
_DEFAULT_VALUE: Final = (ctypes.c_ubyte * VALUE)()
_DEFAULT: Final[int] = ctypes.addressof(_DEFAULT_VALUE)


def set_in_pool(pool: int, settings: Mapping[str, int]) -> None:
    """Set what a pool of instances is made with, by the C library's names for it."""
    for name, value in settings.items():
        kind = c_uint32 if name.startswith("total_") or name.endswith(("component", "slots")) else c_size_t
        _keep(f"wasmtime_pooling_allocation_config_{name}_set", None, _P, kind)(pool, value)


def address_of(handle: Any) -> int:
    """Give the address behind one of wasmtime-py's objects or a ctypes callback."""
    pointer = handle.ptr() if hasattr(handle, "ptr") else handle
    return ctypes.cast(pointer, c_void_p).value or 0


def take_error(error: int) -> str:
    """Read the text of a wasmtime error and free it."""
    text = (c_uint64 * 2)()
    _error_message(error, ctypes.addressof(text))
    length, start = text[0], text[1]
    message = str(MEM[start : start + length], "utf-8", "replace")
    name_delete(ctypes.addressof(text))
    _error_delete(error)
    return message


def make_error(message: str) -> int:
    """Make a wasmtime error; a C string can't hold a NUL, so it becomes a question mark."""
    made: int = error_new(message.encode("utf-8", "replace").replace(b"\0", b"?"))
    return made


def new_box() -> int:
    """Make a value on wasmtime's heap, as the payload of a variant, option or result. It starts as `false`."""
    box: int = value_new(_DEFAULT)  # moves out of the default, and leaves a default behind
    return box


_check_layout()
