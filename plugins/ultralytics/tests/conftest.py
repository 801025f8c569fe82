"""What streamcam's own tests may ask for, and must leave behind."""

from tests.cli.conftest import streamcam as streamcam
from tests.conftest import logging_as_before as logging_as_before
from tests.conftest import no_leaked_threads as no_leaked_threads
