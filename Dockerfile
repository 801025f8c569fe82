# streamcam in a container: GPU or CPU, not as root. docs/containers.md
#
#   docker build -t streamcam .                                          # NVIDIA GPUs, and CPUs
#   docker build -t streamcam:cpu --build-arg TORCH_INDEX=URL .          # CPUs only, 5 GB less
#   docker build -t streamcam:ray --build-arg EXTRAS=ray --build-arg PIP_PACKAGES='ray[default]' \
#       --build-arg APT_PACKAGES=wget .                                  # for KubeRay
#
# TORCH_INDEX is the index of torch's wheels for CPUs, as the installation page of PyTorch shows it.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
ARG TORCH_INDEX=""
# Optional parts, e.g. "mqtt,s3,ray".
ARG EXTRAS="mqtt"
ARG PIP_PACKAGES=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/streamcam
# A layer of its own: torch is most of the image, and changes seldom.
COPY constraints.txt ./
RUN /opt/streamcam/bin/pip install ${TORCH_INDEX:+--index-url "${TORCH_INDEX}"} \
        --constraint constraints.txt torch torchvision
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY licenses ./licenses
COPY streamcam ./streamcam
RUN /opt/streamcam/bin/pip install --constraint constraints.txt \
        ".${EXTRAS:+[${EXTRAS}]}" ${PIP_PACKAGES} \
    && /opt/streamcam/bin/streamcam --version

FROM ${BASE}
ARG APT_PACKAGES=""
# tini reaps what cameras' readers leave, and passes signals on. The folders are open to whomever
# the container runs as (--user).
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini ${APT_PACKAGES} \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 streamcam \
    && useradd --no-log-init --uid 10001 --gid streamcam --no-create-home \
        --home-dir /var/lib/streamcam --shell /usr/sbin/nologin streamcam \
    && install -d -m 1777 -o streamcam -g streamcam \
        /var/lib/streamcam /var/cache/streamcam /srv/streamcam /srv/streamcam/incoming
COPY --from=build /opt/streamcam /opt/streamcam
COPY deploy/config.toml /etc/streamcam/config.toml
# Video: NVENC. The driver's libraries come from the host, by the NVIDIA Container Toolkit.
ENV PATH=/opt/streamcam/bin:${PATH} \
    HOME=/var/lib/streamcam \
    XDG_CACHE_HOME=/var/cache/streamcam \
    XDG_DATA_HOME=/var/lib/streamcam \
    CUDA_CACHE_PATH=/var/cache/streamcam/nv \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
USER 10001:10001
WORKDIR /srv/streamcam
# Results and watched folders; the job store and imported models; downloaded weights.
VOLUME ["/srv/streamcam", "/var/lib/streamcam", "/var/cache/streamcam"]
EXPOSE 8719
# Of `serve`. Loading torch, CUDA and a model may take a small box minutes.
HEALTHCHECK --interval=30s --timeout=5s --start-period=5m --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8719/healthz', timeout=4)"]
# SIGTERM ends the files and segments in hand.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/tini", "--", "streamcam"]
CMD ["serve", "--config", "/etc/streamcam/config.toml"]
