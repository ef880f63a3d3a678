"""Pictures to begin with. To add a start, write it in a file of its own and enter it here."""

from nst_core.starts.plain import grey_start, noise_start, photo_start
from nst_core.starts.preview import preview_start
from nst_core.starts.start import MakeStart

INITS: dict[str, MakeStart] = {
    "preview": preview_start,
    "content": photo_start,
    "noise": noise_start,
    "grey": grey_start,
}
