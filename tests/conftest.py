"""What every test process shares, and what is said of the parts of a run."""

from __future__ import annotations

from functools import cache

import botocore.session

# Sessions read the descriptions of AWS's services once in a process: nine tenths of a client's cost.
botocore.session.create_loader = cache(botocore.session.create_loader)
