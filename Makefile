# The two commands of a fresh clone: `make demo` and `make test`; the service is at the end.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DEMO_OUTPUT ?= demo-output

# Tests that start processes, browsers or servers, or run whole detectors; the others are quick.
WORKERS ?= 2
SLOW_TESTS := audit bench cameras cli compare/test_comparer.py explain service servers systemd training sources/live \
	distributed/test_ray_run.py \
	jobs/test_intake.py jobs/test_runner.py jobs/test_soak.py jobs/test_watcher.py \
	sinks/test_publish.py sinks/test_registry.py sources/test_remote.py storage vision/cpu vision/methods vision/models \
	test_cam_methods.py test_extending.py test_worker_process.py

.PHONY: help demo test quick test-packages lint config reference clean install-service service-venv uninstall-service

help:
	@echo "make demo   explain the demo scene with the built-in detector"
	@echo "make test   lint, types, architecture and tests"
	@echo "make quick  the same without the slow tests, in less than two minutes"
	@echo "make test-packages   install what the tests want beside Python (Debian, root)"
	@echo "make config, make reference   write config.toml, docs/reference.md again from the code"
	@echo "make clean  remove the environment and what was made"
	@echo "make install-service    (as root) streamcam as a systemd service; again to update it"
	@echo "make uninstall-service  (as root) remove it; PURGE=yes: configuration and results too"

$(INSTALLED): pyproject.toml plugins/ultralytics/pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' \
		--editable plugins/ultralytics
	@touch $@

demo: $(INSTALLED)
	$(BIN)/streamcam demo --output $(DEMO_OUTPUT)

# Tests of one file stay together: some share a service that takes seconds to start.
test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=term:skip-covered

quick: lint
	$(BIN)/python -m pytest -n $(WORKERS) --quiet $(SLOW_TESTS:%=--ignore=tests/%)

test-packages:
	.ci/packages

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy --explicit-package-bases benchmarks training docs
	$(BIN)/lint-imports

config: $(INSTALLED)
	env -i $(BIN)/streamcam config show > config.toml

reference: $(INSTALLED)
	$(BIN)/python docs/reference.py > docs/reference.md

clean:
	rm -rf $(VENV) $(DEMO_OUTPUT) .mypy_cache .ruff_cache .pytest_cache .coverage

# The service. PREFIX is a folder of its own, a virtual environment. Packagers give DESTDIR: then
# only files are laid out there, and nothing of the running system is touched.
PREFIX ?= /opt/streamcam
DESTDIR ?=
VENV_INSTALL ?= $(if $(DESTDIR),no,yes)
# Empty where torch comes from elsewhere (Jetson).
CONSTRAINTS ?= constraints.txt

SERVICE_VENV := $(DESTDIR)$(PREFIX)
CONFIG := $(DESTDIR)/etc/streamcam
UNIT := $(DESTDIR)/usr/lib/systemd/system/streamcam.service
SYSUSERS := $(DESTDIR)/usr/lib/sysusers.d/streamcam.conf
TMPFILES := $(DESTDIR)/usr/lib/tmpfiles.d/streamcam.conf
DROP_INS := $(DESTDIR)/etc/systemd/system/streamcam.service.d
STATE := $(DESTDIR)/var/lib/streamcam
CACHE := $(DESTDIR)/var/cache/streamcam
MEDIA := $(DESTDIR)/srv/streamcam
# In a chroot there are files to lay out, but nobody to tell.
SYSTEMD_RUNS := test -z "$(DESTDIR)" && test -d /run/systemd/system

install-service: $(if $(filter yes,$(VENV_INSTALL)),service-venv)
	install -D -m 644 systemd/streamcam.sysusers "$(SYSUSERS)"
	install -D -m 644 systemd/streamcam.tmpfiles "$(TMPFILES)"
	sed 's|/opt/streamcam|$(PREFIX)|g' systemd/streamcam.service | install -D -m 644 /dev/stdin "$(UNIT)"
	test -e "$(CONFIG)/config.toml" || install -D -m 640 systemd/config.toml "$(CONFIG)/config.toml"
ifeq ($(DESTDIR),)
	systemd-sysusers "$(SYSUSERS)"
	systemd-tmpfiles --create "$(TMPFILES)"
	if $(SYSTEMD_RUNS); then systemctl daemon-reload; fi
	@echo "installed; set $(CONFIG)/config.toml, then: systemctl enable --now streamcam"
	@echo "(after an update: systemctl restart streamcam)"
endif

service-venv: export PIP_DISABLE_PIP_VERSION_CHECK := 1
service-venv:
	@test -e "$(SERVICE_VENV)/pyvenv.cfg" || test -z "$$(ls -A "$(SERVICE_VENV)" 2>/dev/null)" \
		|| { echo "$(SERVICE_VENV) holds something else; choose another PREFIX"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
		"streamcam needs Python 3.11 or newer, e.g. make install-service PYTHON=python3.11")'
	umask 022; $(PYTHON) -m venv "$(SERVICE_VENV)"
	umask 022; "$(SERVICE_VENV)/bin/python" -m pip install --quiet --upgrade \
		$(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) .

uninstall-service:
	if test -e "$(UNIT)" && $(SYSTEMD_RUNS); then systemctl disable --now streamcam.service; fi
	rm -f "$(UNIT)" "$(SYSUSERS)" "$(TMPFILES)"
	if test -e "$(SERVICE_VENV)/pyvenv.cfg"; then rm -rf "$(SERVICE_VENV)"; fi
	if $(SYSTEMD_RUNS); then systemctl daemon-reload; fi
ifeq ($(PURGE),yes)
	rm -rf "$(CONFIG)" "$(DROP_INS)" "$(STATE)" "$(CACHE)" "$(MEDIA)/explained"
	@# What people brought is theirs.
	@rmdir "$(MEDIA)/incoming" "$(MEDIA)" 2>/dev/null || true
endif
	@for left in "$(CONFIG)" "$(DROP_INS)" "$(STATE)" "$(CACHE)" "$(MEDIA)"; do \
		if test -e "$$left"; then echo "left: $$left"; fi; done
	@if test -z "$(DESTDIR)" && id streamcam >/dev/null 2>&1; then \
		echo "left: the user streamcam, whose files may be elsewhere too"; fi
