import os
import smtplib
import sys
from email.message import EmailMessage
from email.utils import formatdate

mail = EmailMessage()
mail["From"], mail["To"], mail["Date"], mail["Subject"] = "a@example.com", os.environ["TO"], formatdate(), "Hello"
mail.set_content(os.environ["TEXT"])
try:
    with smtplib.SMTP(os.environ["HOST"], int(os.environ["PORT"]), timeout=5) as server:
        server.send_message(mail)
except Exception as error:
    sys.exit(str(error))
