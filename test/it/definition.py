# SPDX-License-Identifier: Apache-2.0
"""Definitions of domains, emulated: KVM is not used even where it is there."""
import dataclasses
import pathlib
from xml.sax.saxutils import quoteattr


@dataclasses.dataclass
class Disk:
    """A disk of a domain and where it is."""
    name: str
    path: pathlib.Path
    fmt: str = "qcow2"

    def xml(self):
        kind, attribute = ("block", "dev") if str(self.path).startswith("/dev/") else ("file", "file")
        return (f"<disk type='{kind}' device='disk'><driver name='qemu' type='{self.fmt}' discard='unmap'/>"
                f"<source {attribute}={quoteattr(str(self.path))}/>"
                f"<target dev='{self.name}' bus='virtio'/><serial>{self.name}</serial></disk>")


def domain(name, uuid, disks, folder, agent=True, firmware="", extra="", memory=192):
    """`firmware` are elements for <os>, `extra` for <devices>; the serial console goes to a file in `folder`."""
    channel = ("<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
               if agent else "")
    return f"""<domain type='qemu'>
<name>{name}</name><uuid>{uuid}</uuid>
<memory unit='MiB'>{memory}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type>{firmware}</os>
<features><acpi/></features>
<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
<devices>
{"".join(d.xml() for d in disks)}
<serial type='file'><source path='{folder}/{name}.serial' append='on'/></serial>
{channel}
<memballoon model='none'/>
{extra}
</devices>
</domain>
"""
