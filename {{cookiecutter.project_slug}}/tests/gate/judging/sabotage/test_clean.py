"""What is honest passes: with the champion, as the first model, and on other samples."""

from typing import Any

import pytest

from mlops.gate import entries
