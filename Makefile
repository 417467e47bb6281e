# make demo      a portrait moves in a rendered gallery: build/demo/gallery.mp4 and gallery.blend
# make test      lint and tests; make test BLENDER=/path/to/blender runs tests/blender in that Blender instead
# make package   the extension as a zip: dist/
# PYTHON=path    a Python 3.11 or 3.13 to set .venv up with

PY := .venv/bin/python

.PHONY: demo test package clean

demo: .venv/.ready
	$(PY) examples/demo.py --output build/demo

ifdef BLENDER
test: .venv/.ready
	BLENDER="$(BLENDER)" $(PY) -m pytest tests/blender
else
test: .venv/.ready
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	$(PY) -m pytest --ignore tests/blender
endif

package: .venv/.ready
	$(PY) tools/package.py

.venv/.ready: requirements.txt requirements-dev.txt tools/venv.sh
	sh tools/venv.sh

clean:
	rm -rf build dist
