"""QEMU's educational device as a PCI function that lives in this program, by docs/specs/edu.rst of QEMU.

    python3 examples/edu.py [SOCKET_URL BDF | -]

is that function of that machine, until the machine is gone; with `-` of each that a line of standard input names, until that ends. Without arguments it starts a
machine, is its function 00:04.0, and drives it as a host would. examples/test_edu.py runs the same driver against it and against the model that the server has;
so does the service's own suite, with the clone in TypeScript as a third.
"""

import os
import sys

import iommud
from iommud.values import DmaResult

IDENTIFICATION = 0x0100_00ED
BUFFER = 0x40000
BUFFER_SIZE = 4096
RAM_BITS = 28

RUN, TO_RAM, RAISE = 1, 2, 4
COMPUTING, RAISE_FACTORIAL = 0x01, 0x80
FACTORIAL_DONE, DMA_DONE = 0x001, 0x100

# Alarms, and how long what they end takes on the machine's clock.
FACTORIAL_ALARM, DMA_ALARM = 0, 1
FACTORIAL_MS, DMA_MS = 1, 100

# What it is, as an entry of `functions` in a topology: a conventional function that is reset by its power state.
EDU = {
    "vendor": "0x1234",
    "device": "0x11e8",
    "class": "0x00ff00",
    "revision": "0x10",
    "bars": [{"bar": 0, "size": "1MiB"}],
    "interruptPin": "A",
    "capabilities": {"express": False, "pm": {"noSoftReset": False}, "msi": {"vectors": 1}},
}

# Offset of each register, and its size.
REGISTERS = {
    0x00: ("identification", 4),
    0x04: ("liveness", 4),
    0x08: ("factorial", 4),
    0x20: ("status", 4),
    0x24: ("interrupt_status", 4),
    0x60: ("interrupt_raise", 4),
    0x64: ("interrupt_acknowledge", 4),
    0x80: ("source", 8),
    0x88: ("destination", 8),
    0x90: ("count", 8),
    0x98: ("command", 8),
}
READ_ONLY = ("identification", "interrupt_status")
WRITE_ONLY = ("interrupt_raise", "interrupt_acknowledge")
TRANSFER = ("source", "destination", "count", "command")


class Edu(iommud.Device):
    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.registers = {name: 0 for name, _ in REGISTERS.values()}
        self.registers["identification"] = IDENTIFICATION
        self.buffer = bytearray(BUFFER_SIZE)

    def read(self, access: iommud.RegionAccess) -> int:
        name, size = REGISTERS.get(access.offset, ("", 0))
        if access.region != 0 or name in ("", *WRITE_ONLY) or access.size not in (4, size):
            return (1 << 8 * access.size) - 1
        return self.registers[name] & (1 << 8 * access.size) - 1

    def write(self, access: iommud.RegionAccess, value: int) -> None:
        name, size = REGISTERS.get(access.offset, ("", 0))
        if access.region != 0 or name in ("", *READ_ONLY) or access.size not in (4, size):
            return
        if name in TRANSFER and self.registers["command"] & RUN:
            return
        if name == "liveness":
            self.registers[name] = ~value & 0xFFFF_FFFF
        elif name == "factorial":
            if not self.registers["status"] & COMPUTING:
                self.registers[name] = value
                self.registers["status"] |= COMPUTING
                self.set_alarm(FACTORIAL_ALARM, FACTORIAL_MS)
        elif name == "status":
            self.registers[name] = self.registers[name] & COMPUTING | value & RAISE_FACTORIAL
        elif name == "interrupt_raise":
            self._raise(value)
        elif name == "interrupt_acknowledge":
            self._interrupts(self.registers["interrupt_status"] & ~value)
        elif name == "command":
            if value & RUN:
                self.registers[name] = value
                self.set_alarm(DMA_ALARM, DMA_MS)
        else:
            self.registers[name] = value

    def alarm(self, alarm: int) -> None:
        if alarm == DMA_ALARM:
            self._transfer()
            return
        self.registers["factorial"] = factorial(self.registers["factorial"])
        self.registers["status"] &= ~COMPUTING
        if self.registers["status"] & RAISE_FACTORIAL:
            self._raise(FACTORIAL_DONE)

    def reset(self, method: str) -> None:
        self._clear()
        self.line(False)

    def _transfer(self) -> None:
        """What would copy beyond the buffer transfers nothing."""
        source, destination, count, command = (self.registers[name] for name in TRANSFER)
        at = (source if command & TO_RAM else destination) - BUFFER
        ram = (destination if command & TO_RAM else source) & (1 << RAM_BITS) - 1
        if not count or at < 0 or at + count > BUFFER_SIZE:
            self._transferred()
            return
        if command & TO_RAM:
            under_way = self.dma.start_write(ram, self.buffer[at : at + count])
        else:
            under_way = self.dma.start_read(ram, count)
        registers = self.registers

        def ended(transfer: iommud.Pending[DmaResult]) -> None:
            got = transfer.result()
            # A reset in between has made other registers: what the old ones were told to do is nobody's business any more.
            if self.registers is not registers:
                return
            # A fault is the machine's to report; what it did not bring stays as it was.
            brought = (got.data or b"")[: got.size]
            self.buffer[at : at + len(brought)] = brought
            self._transferred()

        # It may be held on its way, and the clock stands while an alarm is not answered: nothing waits for it here.
        self.when_done(under_way, ended)

    def _transferred(self) -> None:
        self.registers["command"] &= ~RUN
        if self.registers["command"] & RAISE:
            self._raise(DMA_DONE)

    def _raise(self, value: int) -> None:
        self._interrupts(self.registers["interrupt_status"] | value)
        if self.registers["interrupt_status"]:
            self.interrupt(0)

    def _interrupts(self, status: int) -> None:
        """The line is asserted as long as there is a value; the machine keeps it low while MSI is enabled."""
        self.registers["interrupt_status"] = status
        self.line(status != 0)


def factorial(of: int) -> int:
    product = 1
    # From 34 on it is 0.
    for factor in range(2, min(of, 34) + 1):
        product = product * factor & 0xFFFF_FFFF
    return product


class EduDriver:
    """What a driver of it does, with an IOMMU in between. The device's DMA reaches the page at `iova`, and nothing else."""

    def __init__(self, machine: iommud.Machine, bdf: str, iova: int = 0x20000) -> None:
        self.function = machine.function(bdf)
        self.registers = self.function.bar(0)
        self.memory = machine.memory
        self.iova = iova
        self.page = machine.memory.alloc(BUFFER_SIZE).address
        self.function.dma.map(iova=iova, address=self.page, size=BUFFER_SIZE, access="rw")

    def factorial(self, of: int) -> int:
        self.registers.write(0x08, of)
        while self.registers.read(0x20) & 1:
            pass
        return self.registers.read(0x08)

    def transfer(self, source: int, destination: int, count: int, command: int) -> None:
        self.registers.write(0x80, source, 8)
        self.registers.write(0x88, destination, 8)
        self.registers.write(0x90, count, 8)
        self.registers.write(0x98, command | RUN, 8)
        while self.registers.read(0x98, 8) & RUN:
            pass

    def round_trip(self, text: bytes) -> bytes:
        """Into the device's buffer, and back to the second half of the page."""
        half = BUFFER_SIZE // 2
        self.memory.write(self.page, text)
        self.transfer(self.iova, BUFFER, len(text), 0)
        self.transfer(BUFFER, self.iova + half, len(text), TO_RAM)
        return self.memory.read(self.page + half, len(text))


def serve(url: str, bdf: str) -> None:
    with iommud.connect(url, ["device"], token=os.environ.get("IOMMUD_TOKEN")) as connection:
        connection.claim(bdf, Edu(), declare=EDU)
        print(f"is {bdf}", flush=True)
        print(f"ends: {connection.wait_closed()}")


def serve_many() -> None:
    """One program for as many machines as wanted: each claim answers in a thread of its own."""
    for line in sys.stdin:
        url, bdf = line.split()
        iommud.connect(url, ["device"], token=os.environ.get("IOMMUD_TOKEN")).claim(bdf, Edu(), declare=EDU)
        print(f"is {bdf}", flush=True)


def show() -> None:
    with iommud.start_machine(seed=7) as machine:
        machine.connect(["device"]).claim("00:04.0", Edu(), declare=EDU)
        driver = EduDriver(machine, "00:04.0")
        print(f"identification {driver.registers.read(0):#x}, 10! = {driver.factorial(10)}")
        print(driver.round_trip(b"there and back").decode())
        driver.transfer(0x9000, BUFFER, 16, 0)
        print(machine.faults.next().text)


if __name__ == "__main__":
    if sys.argv[1:] == ["-"]:
        serve_many()
    elif len(sys.argv) == 3:
        serve(*sys.argv[1:])
    else:
        show()
