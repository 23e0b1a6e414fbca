"""The learner's own pictures, one folder per class: read them, look them over, unpack them from a zip.

:func:`load_folder` makes a domain of a folder, :func:`open_pictures` leaves its pictures unread until they are needed,
:func:`inspect_folder` says what is in it and what is wrong with it, and :func:`unpack_pictures` puts the pictures of a
zip there. What comes in is a stranger's: a file is a picture when its content says so, nothing outside the folder is
read or written, and each refusal is one line that names the file.
"""

from tlkit.folders.inspection import FolderReport, inspect_folder
from tlkit.folders.loading import load_folder
from tlkit.folders.opening import Pictures, open_pictures
from tlkit.folders.pictures import PICTURE_SUFFIXES, PictureError, read_picture
from tlkit.folders.unpacking import Unpacked, unpack_pictures

__all__ = [
    "PICTURE_SUFFIXES",
    "FolderReport",
    "PictureError",
    "Pictures",
    "Unpacked",
    "inspect_folder",
    "load_folder",
    "open_pictures",
    "read_picture",
    "unpack_pictures",
]
