"""The tool behind `make up`: start the emulator, build, translate, deploy, hand out tokens."""
