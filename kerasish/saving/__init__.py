"""Files of models, weights and runs: whole or not there, and data only."""

from kerasish.saving.errors import ModelFileError
from kerasish.saving.format import Stored, read_file, write_file
from kerasish.saving.plain import pack, unpack
from kerasish.saving.writing import write_whole

__all__ = ["ModelFileError", "Stored", "pack", "read_file", "unpack", "write_file", "write_whole"]
