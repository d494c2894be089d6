# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML that some program of the cluster left in an object's text.

This module is private to the collection.
"""

from __future__ import annotations

from typing import Any

# What PyYAML lets through where a text is no date, no number or nothing that its tag says, or nested too deeply.
OF_VALUES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


class YamlError(ValueError):
    """The text is no YAML."""


def read_yaml(text: str) -> Any:
    """What the text holds. Raises YamlError, which quotes nothing of it."""
    import yaml

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, *OF_VALUES) as error:
        raise YamlError(f"it is no YAML ({type(error).__name__})") from None
