"""Running the convolutions of any family in OpenVINO.

OpenVINO and NNCF report to their makers how they are used, from their import on. Where their
package for that cannot be imported, they leave it out.
"""

import sys

# Python then says that there is no such module.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
