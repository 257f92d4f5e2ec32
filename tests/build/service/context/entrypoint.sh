#!/bin/sh
id -un
pwd
cat /etc/service.conf
