"""A scriptable DMA initiator: one page may be reached, and what is aimed elsewhere is a fault record."""

import iommud

with iommud.start_machine(preset="basic", seed=7) as machine:
    dev = machine.function("00:02.0")
    page = machine.memory.alloc(4096)
    dev.dma.map(iova=0x10000, address=page.address, size=4096, access="rw")
    print(dev.model.write(0x10000, b"hello").outcome)
    print(dev.model.write(0x11000, b"rogue").outcome)
    print(machine.faults.next().text)
