# SPDX-License-Identifier: MIT
"""What the shop does by the clock."""

from minihttp import Crons

from . import mail, reports

crons = Crons()
crons.interval("sweep baskets", function=reports.sweep, minutes=5)
crons.daily("remind of open orders", hour_utc=7, minute_utc=30, function=mail.remind)
crons.weekly("report for the owner", day_of_week="monday", hour_utc=6, function=reports.weekly)
