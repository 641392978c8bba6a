"""Every error code: what it means, code that raises it, and the same code put right."""

from graphc.error_catalog.table import CATALOG as CATALOG
from graphc.error_catalog.table import FAMILIES as FAMILIES
