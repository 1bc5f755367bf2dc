# For those who type make: each target is the npm script of the same name.
.PHONY: install test lint clean start

install:
	npm ci

test lint clean start: ; npm run $@
