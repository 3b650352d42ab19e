"""How an error leaves the command line: an exit code and one line."""

import errno
import os
import sys
import traceback
from collections.abc import Iterator

from hfmm.errors import HfmmError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
NETWORK_PACKAGES = ("httpx", "httpx2", "httpcore", "httpcore2")
HUB_ERRORS = ("HfHubHTTPError", "LocalEntryNotFoundError", "LocalTokenNotFoundError")
MORE_MEMORY = "try a smaller --batch-size, with --gradient-accumulation to keep the effective one"
INTERNAL = "internal error, which is a bug of hfmm: please report it with the lines above and what `hfmm doctor` prints"


def report(error: BaseException) -> int:
    """Tell an error on stderr in one line, with its traceback where it is internal or HFMM_DEBUG=1.

    Returns:
        Its exit code.
    """
    code, line = describe(error)
    if code == 1 or os.environ.get("HFMM_DEBUG") == "1":
        traceback.print_exception(error)
    print(f"hfmm: {line}", file=sys.stderr)
    return code


def describe(error: BaseException) -> tuple[int, str]:
    """Exit code and line of an error."""
    for link in _chain(error):
        text = one_line(link)
        if isinstance(link, HfmmError) and link.exit_code != 1:
            return link.exit_code, text
        if isinstance(link, KeyboardInterrupt):
            return 130, "interrupted"
        if _is_full_disk(link):
            return 4, f"the disk is full ({text}): free some space and run the same command again"
        if _is_out_of_memory(link):
            return 4, f"out of memory ({text}): {MORE_MEMORY}"
        if _is_refusal(link):
            return 6, f"{text or type(link).__name__}: check the network, the name and the permissions"
    text = one_line(error)
    if isinstance(error, HfmmError):
        return 1, text
    return 1, f"{INTERNAL} ({type(error).__name__}: {text}); HFMM_DEBUG=1 shows the traceback of any error"


def one_line(error: BaseException) -> str:
    """The message of an error without line breaks, and without the traceback that a data loader's worker adds to it."""
    text = str(error).strip()
    if text.startswith("Caught ") and "Original Traceback" in text:
        text = text.splitlines()[-1].partition(": ")[2]
    return " ".join(text.split())


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _is_full_disk(error: BaseException) -> bool:
    return (isinstance(error, OSError) and error.errno in NO_ROOM) or "No space left on device" in str(error)


def _is_out_of_memory(error: BaseException) -> bool:
    named = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)  # torch's, unimported
    refused = isinstance(error, RuntimeError) and "allocate memory" in str(error)  # torch's on CPU
    return isinstance(error, MemoryError) or named or refused or getattr(error, "errno", None) == errno.ENOMEM


def _is_refusal(error: BaseException) -> bool:
    kinds = type(error).__mro__
    of_network = any(kind.__module__.partition(".")[0] in NETWORK_PACKAGES for kind in kinds)
    of_hub = any(kind.__name__ in HUB_ERRORS for kind in kinds)
    return of_network or of_hub or isinstance(error, PermissionError | ConnectionError | TimeoutError)
