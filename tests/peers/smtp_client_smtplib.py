"""A correct mail client: the one of Python's library, told to complain in one line. The arguments: host, port, to, text."""
import smtplib
import sys
from email.message import EmailMessage
from email.utils import localtime

host, port, to, text = sys.argv[1:]
mail = EmailMessage()
mail["From"], mail["To"], mail["Subject"], mail["Date"] = "me@example.com", to, "From Python", localtime()
mail.set_content(text)
try:
    with smtplib.SMTP(host, int(port), timeout=10) as server:
        server.set_debuglevel(1)
        server.send_message(mail)
        try:
            server.quit()
        except (OSError, smtplib.SMTPException):
            pass  # the mail is accepted already
except (OSError, smtplib.SMTPException) as error:
    sys.exit(f"not sent: {error}")
