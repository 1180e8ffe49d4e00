"""The one door for foreign files: JSON, YAML, safetensors and plain text, and nothing else.

Whatever the bytes are, reading gives either the content or one ``LowkeyError``: sizes are capped
before anything is read, and everything is checked before anything is allocated. Writing leaves
either the old content or the new one, whole, even if the process is killed or the disk is full.
"""

from lowkey.files.durable import (
    refuse_full_folder,
    staged_folder,
    write_bytes,
    write_json,
    write_text,
)
from lowkey.files.leftovers import settle
from lowkey.files.scratch import Scratch, ScratchFile
from lowkey.files.tensors import TensorInfo, read_tensors, tensor_infos, write_tensors
from lowkey.files.text import MIB, open_regular, parse_json, read_json, read_text, sha256_of
from lowkey.files.yaml_document import KeyPath, YamlDocument, parse_yaml, read_yaml

__all__ = [
    "MIB",
    "KeyPath",
    "Scratch",
    "ScratchFile",
    "TensorInfo",
    "YamlDocument",
    "open_regular",
    "parse_json",
    "parse_yaml",
    "read_json",
    "read_tensors",
    "read_text",
    "read_yaml",
    "refuse_full_folder",
    "settle",
    "sha256_of",
    "staged_folder",
    "tensor_infos",
    "write_bytes",
    "write_json",
    "write_tensors",
    "write_text",
]
