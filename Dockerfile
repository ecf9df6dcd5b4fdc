# One image for both uses:
#   docker run -v "$PWD/data:/data:ro" -v "$PWD/runs:/app/runs" gdpipe gdpipe train /data/flights --target arr_delay
#   a Prefect docker pool (train/docker in prefect.yaml): the flows are in /app
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
WORKDIR /app
RUN python -m venv /venv
ENV PATH=/venv/bin:$PATH
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY gdpipe ./gdpipe
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
# what only built the package, and other packages' tests, stay behind; pip stays, for images made from this one
RUN pip uninstall --yes hatchling editables trove-classifiers && find /venv -type d -name tests -prune -exec rm -r {} +

FROM ${BASE}
# a process that is number 1 ignores SIGTERM: tini is number 1, and hands signals on
RUN apt-get update && apt-get install --yes --no-install-recommends tini && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN useradd --create-home --uid 10001 gdpipe
COPY --from=build /venv /venv
WORKDIR /app
COPY prefect.toml prefect.yaml ./
COPY flows ./flows
# open to everyone, as /tmp is: docker run --user may name any uid, and without its PREFECT_HOME a flow cannot start
RUN install -d -m 1777 -o gdpipe -g gdpipe /app/runs /app/scores /home/gdpipe/.prefect
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PREFECT_HOME=/home/gdpipe/.prefect
USER gdpipe
# a Prefect docker pool brings a command of its own, which tini starts too
ENTRYPOINT ["tini", "--"]
CMD ["gdpipe", "--help"]
