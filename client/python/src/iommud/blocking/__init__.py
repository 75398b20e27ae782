"""The face that blocks, which `iommud` itself shows. What is the same in both faces is made from `iommud.aio` by tools/make_blocking.py."""
