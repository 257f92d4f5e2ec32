deps:
	mkdir -p /deps && cc --version | head -1 > /deps/cc

hello: hello.c
	cc -static -Os -DVERSION=\"$(VERSION)\" -o $@ $<
