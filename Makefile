# make demo      a portrait moves in a rendered gallery: build/demo/gallery.mp4 and gallery.blend
# make test      lint and tests; make test BLENDER=/path/to/blender runs tests/blender in that Blender instead
# make test-versions  tests/vangogh_blender in bpy of every Blender from 4.2 to 5.2; VERSIONS="4.2 4.5" names some
# make package   the extension, a zip for each platform: dist/; with OFFLINE=1 one that carries all that the add-on
#                installs on PLATFORM with PYTHON_VERSION, Blender's (TORCH=pypi: for Linux with CUDA)
# make repository  what Blender subscribes to, from these zips: dist/repository/
# make locks     what the add-on installs on each platform, from requirements.txt: resolved and fetched anew
# PYTHON=path    a Python 3.11 or 3.13 to set .venv up with

PY := .venv/bin/python

.PHONY: demo test test-versions package repository locks clean

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

test-versions: .venv/.ready
	$(PY) tools/test_versions.py $(VERSIONS)

PLATFORM ?= linux-x64
PYTHON_VERSION ?= 3.11
TORCH ?= cpu

ifdef OFFLINE
package: .venv/.ready
	$(PY) tools/package.py --offline --platform $(PLATFORM) --python $(PYTHON_VERSION) --torch $(TORCH)
else
package: .venv/.ready
	$(PY) tools/package.py
endif

repository: package
	$(PY) tools/repository.py

locks: .venv/.ready
	$(PY) tools/lock.py

.venv/.ready: requirements.txt requirements-dev.txt tools/venv.sh
	sh tools/venv.sh

clean:
	rm -rf build dist
